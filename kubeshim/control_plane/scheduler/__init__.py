"""Which node a pod runs on; an ordinary client of any API server.

``scheduler`` is the cycle, ``framework`` the extension points, ``profile`` the table of plugins (a file each in
``plugins/``), ``queue`` what waits and why, ``cache`` what is where, ``diagnosis`` the words of a failure.
"""
