"""What is wrong with an object, in upstream's field paths, reasons and words: pure functions, a file a family of kinds.

``fields`` words the messages, ``decoding`` holds a body against its type, ``metadata`` judges what all kinds share,
``required`` what the published schema demands; the rest are named after the kinds they judge. Each returns a list of
``errors.FieldError`` and changes nothing. Which strategy calls which is said in ``api_server/strategies/table``.
"""
