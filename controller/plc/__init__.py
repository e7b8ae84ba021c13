"""HomePlug Green PHY: management messages, the modem, and the powerline that joins two of them."""
