"""The bundled Ingress controller: what Ingresses ask for, done by HAProxy.

``routes`` decides from API objects what shall be routed where and is pure; ``haproxy`` writes that down as HAProxy's
files and is pure, too; ``certificates`` makes and checks key pairs; ``process`` keeps one HAProxy running on sockets it
was handed, and changes its files under it; ``controller`` watches, and tells Ingresses their address.

Where the API leaves a choice: the most specific host that any rule names decides, then the longest path, Exact before
Prefix; ``ImplementationSpecific`` means Prefix. A request for a host whose rules do not match goes to the default
backend of that host's Ingress, else of any Ingress, else it gets a 404. The older of two Ingresses that want the same
wins. HTTP is served for hosts with TLS as well. Services of type ExternalName and ``resource`` backends are answered
with 503, and an event says so.
"""
