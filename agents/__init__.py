"""The agent: instructor, locator and editor, written against one-method ports."""
