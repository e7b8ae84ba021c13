"""The hardware's pages and what they are made from; run on a desk, never on a charger."""
