"""What networks say of a face before and after: likeness, attributes, which of several candidates is best."""
