"""What a text must look like to be a name, a label, a port name …; each answers with the genuine complaints.

Every check returns the list of what is wrong, empty when nothing is. The frequent ones are one compiled
regular expression on the good path; words are only made when something is wrong.
"""

import ipaddress
import re
from collections.abc import Callable, Collection

Check = Callable[[str], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_UNDERSCORED_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED = _UNDERSCORED_LABEL + r"(\." + _UNDERSCORED_LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(" + _QUALIFIED + ")?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_WILDCARD = r"\*\." + _SUBDOMAIN
_HEADER = "[-A-Za-z0-9]+"
_PROCESS_NAMESPACE = _SUBDOMAIN

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_underscored = re.compile(_UNDERSCORED).fullmatch
_label_1035 = re.compile(_LABEL_1035).fullmatch
_qualified = re.compile(_QUALIFIED).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_c_identifier = re.compile(_C_IDENTIFIER).fullmatch
_wildcard = re.compile(_WILDCARD).fullmatch
_header = re.compile(_HEADER).fullmatch
_port_characters = re.compile("[-a-z0-9]+").fullmatch
_relaxed_env = re.compile(r"[ -<>-~]+").fullmatch

EMPTY = "must be non-empty"


def too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """The sentence that explains a pattern, examples joined as upstream joins them (two blanks before "or")."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL_TEXT = regex_error(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character", _LABEL, "my-name", "123-abc",
)  # fmt: skip
_SUBDOMAIN_TEXT = regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character", _SUBDOMAIN, "example.com",
)  # fmt: skip
_UNDERSCORED_TEXT = regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character", _UNDERSCORED, "example.com",
)  # fmt: skip
_LABEL_1035_TEXT = regex_error(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character", _LABEL_1035, "my-name", "abc-123",
)  # fmt: skip
_NAME_PART = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_QUALIFIED_TEXT = regex_error(_NAME_PART, _QUALIFIED, "MyName", "my.name", "123-abc")
_LABEL_VALUE_TEXT = regex_error(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character", _LABEL_VALUE, "MyValue", "my_value", "12345",
)  # fmt: skip


def dns_label(text: str) -> list[str]:
    """RFC 1123 label, at most 63 bytes."""
    if len(text) <= 63 and _label(text):
        return []
    wrong = [too_long(63)] if len(text) > 63 else []
    if not _label(text):
        wrong.append("must not contain dots" if _subdomain(text) else _LABEL_TEXT)
    return wrong


def dns_subdomain(text: str) -> list[str]:
    """RFC 1123 subdomain, at most 253 bytes."""
    if len(text) <= 253 and _subdomain(text):
        return []
    wrong = [too_long(253)] if len(text) > 253 else []
    if not _subdomain(text):
        wrong.append(_SUBDOMAIN_TEXT)
    return wrong


def dns_subdomain_with_underscores(text: str) -> list[str]:
    """A subdomain in a DNS search path, where labels may have underscores."""
    wrong = [too_long(253)] if len(text) > 253 else []
    if not _underscored(text):
        wrong.append(_UNDERSCORED_TEXT)
    return wrong


def dns_1035_label(text: str) -> list[str]:
    """RFC 1035 label (starts with a letter), at most 63 bytes."""
    if len(text) <= 63 and _label_1035(text):
        return []
    wrong = [too_long(63)] if len(text) > 63 else []
    if not _label_1035(text):
        wrong.append(_LABEL_1035_TEXT)
    return wrong


def wildcard_subdomain(text: str) -> list[str]:
    """``*.`` followed by a subdomain."""
    wrong = [too_long(253)] if len(text) > 253 else []
    if not _wildcard(text):
        wrong.append(
            regex_error(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
                _WILDCARD, "*.example.com",
            )
        )  # fmt: skip
    return wrong


def fully_qualified_domain(text: str) -> list[str]:
    """A subdomain of at least two labels."""
    if not text:
        return [EMPTY]
    if wrong := dns_subdomain(text):
        return wrong
    return [] if "." in text else ["should be a domain with at least two segments separated by dots"]


def qualified_name(text: str) -> list[str]:
    """``[subdomain/]name``: label and annotation keys, resource names, finalizers."""
    prefix, slash, name = text.rpartition("/")
    if slash and "/" in prefix:
        return [
            "a qualified name "
            + regex_error(_NAME_PART, _QUALIFIED, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    wrong: list[str] = []
    if slash:
        wrong += ["prefix part " + EMPTY] if not prefix else ["prefix part " + text for text in dns_subdomain(prefix)]
    if not name:
        wrong.append("name part " + EMPTY)
    elif len(name) > 63:
        wrong.append("name part " + too_long(63))
    if not _qualified(name):
        wrong.append("name part " + _QUALIFIED_TEXT)
    return wrong


def domain_prefixed_key(text: str) -> list[str]:
    """``example.com/name``: a qualified name that has its domain."""
    if wrong := qualified_name(text):
        return wrong
    return [] if "/" in text else ['must be a domain-prefixed key (such as "acme.io/foo")']


def label_value(text: str) -> list[str]:
    if len(text) <= 63 and _label_value(text):
        return []
    wrong = [too_long(63)] if len(text) > 63 else []
    if not _label_value(text):
        wrong.append(_LABEL_VALUE_TEXT)
    return wrong


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret, also a file name."""
    wrong = [too_long(253)] if len(text) > 253 else []
    if not _config_key(text):
        wrong.append(
            regex_error(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY, "key.name", "KEY_NAME", "key-name",
            )
        )  # fmt: skip
    if text == ".":
        wrong.append("must not be '.'")
    elif text == "..":
        wrong.append("must not be '..'")
    elif text.startswith(".."):
        wrong.append("must not start with '..'")
    return wrong


def env_name(text: str) -> list[str]:
    """A name of an environment variable, by the relaxed rule (1.34 on)."""
    if _relaxed_env(text):
        return []
    if not text:
        return ["environment variable name " + EMPTY]
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def c_identifier(text: str) -> list[str]:
    if _c_identifier(text):
        return []
    return [
        regex_error(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
            "characters or '_'", _C_IDENTIFIER, "my_name", "MY_NAME", "MyName",
        )
    ]  # fmt: skip


def http_header_name(text: str) -> list[str]:
    if _header(text):
        return []
    return [regex_error("a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")]


def port_number(number: int) -> list[str]:
    return [] if 1 <= number <= 65535 else [between(1, 65535)]


def port_name(text: str) -> list[str]:
    """An IANA service name: what container ports and named target ports are called."""
    wrong = [f"must be no more than {15} characters"] if len(text) > 15 else []
    if not _port_characters(text):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in text:
        wrong.append("must not contain consecutive hyphens")
    if text and (text[0] == "-" or text[-1] == "-"):
        wrong.append("must not begin or end with a hyphen")
    return wrong


_BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_dotted = re.compile(r"\d+(\.\d+){3}", re.ASCII).fullmatch
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def sloppy_ip(text: str) -> tuple[Address, bool] | None:
    """An address as the API used to take it, and whether it has the zeros in front that it no longer takes."""
    try:
        return (ipaddress.ip_address(text), False) if "%" not in text else None
    except ValueError:
        pass
    if not _dotted(text):
        return None
    octets = [int(octet[-9:]) for octet in text.split(".")]
    return (ipaddress.IPv4Address(bytes(octets)), True) if max(octets) <= 255 else None


def unmapped(address: Address) -> Address:
    """The IPv4 address that one of IPv6 wraps; any other is itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def ip(text: str, kept: Collection[str] = ()) -> list[str]:
    """An address, strict since 1.36 about zeros in front and IPv4 in IPv6; what was there before (``kept``) stays."""
    if text in kept:
        return []
    found = sloppy_ip(text)
    if found is None:
        return [_BAD_IP]
    if found[1]:
        return ["must not have leading 0s"]
    if isinstance(found[0], ipaddress.IPv6Address) and found[0].ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def canonical_ip(text: str) -> list[str]:
    """An address written as Go writes it: what fields newer than 1.33 take."""
    if wrong := ip(text):
        return wrong
    canonical = str(ipaddress.ip_address(text))
    return [] if canonical == text else [f'must be in canonical form ("{canonical}")']


def sloppy_network(text: str) -> Network | None:
    """A network as the API used to take it: host bits and zeros in front and all."""
    address, slash, length = text.partition("/")
    found = sloppy_ip(address) if slash and length.isascii() and length.isdigit() else None
    if found is None or int(length[-9:]) > found[0].max_prefixlen:
        return None
    return ipaddress.ip_network(f"{found[0]}/{int(length)}", strict=False)


def cidr(text: str, kept: Collection[str] = ()) -> list[str]:
    """A network, strict since 1.36; what was there before (``kept``) stays."""
    if text in kept:
        return []
    address, slash, length = text.partition("/")
    found = sloppy_ip(address) if slash and length.isascii() and length.isdigit() else None
    if found is None or int(length[-9:]) > found[0].max_prefixlen:
        return [_BAD_CIDR]
    if found[1] or (len(length) > 1 and length[0] == "0"):
        return ["must not have leading 0s in IP or prefix length"]
    if isinstance(found[0], ipaddress.IPv6Address) and found[0].ipv4_mapped is not None:
        return ["must not have an IPv4-mapped IPv6 address"]
    interface = ipaddress.ip_interface(text)
    if interface.ip != interface.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def canonical_cidr(text: str) -> list[str]:
    """A network written as Go writes it: what fields newer than 1.33 take."""
    if wrong := cidr(text):
        return wrong
    canonical = str(ipaddress.ip_network(text))
    return [] if canonical == text else [f'must be in canonical form ("{canonical}")']


def path_segment(text: str) -> list[str]:
    """Names of RBAC kinds: anything that fits between two slashes of a path."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in text]


def path_segment_prefix(text: str) -> list[str]:
    return [f"may not contain '{char}'" for char in ("/", "%") if char in text]


def mask_trailing_dash(text: str) -> str:
    """A generateName prefix judged as a name: one trailing dash stands for letters to come."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text
