"""Business rules over recommended lists: documents, their versions, and lists arranged under them.

`document` reads a document, `compiled` fits it to a catalogue, `arranging` makes a list under it, `versions` stores
documents and moves from one to the next. What each rule means is said in docs/guides/rules.md.
"""
