"""What tests share: the servers they need, and watches over what they do."""
