"""What API server and kubelet both speak on a socket.

``http_server`` parses HTTP/1.1 and serves a WSGI application over sockets it is given; ``websocket``, ``spdy``
and ``remotecommand`` are framing without I/O. The socket module is injected: gevent's in the API server, the
standard one in the kubelet.
"""
