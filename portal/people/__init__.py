"""The owner's own pages about proving who they are: codes on paper, addresses, contacts, changes of them."""
