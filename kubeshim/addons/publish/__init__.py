"""Ports of the machine that lead into the cluster: to a NodePort, or to a port of any Service.

``targets`` reads what is asked for and knows where it leads (pure), ``relay`` carries bytes, ``publisher`` joins them
with what the API tells.
"""
