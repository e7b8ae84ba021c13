"""What has to be right before a charger or vehicle unit can run: facts in, findings out."""
