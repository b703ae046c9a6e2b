"""What can be done with a stored run: replay, resume, ask what if."""
