"""What a pod's own files say of names."""

RESOLVER = "/etc/resolv.conf"


def _words(keyword):
    found = []
    with open(RESOLVER) as file:
        for line in file:
            words = line.split()
            if words and words[0] == keyword:
                found += words[1:]
    return found


def dns_suffix(arguments):
    print(",".join(_words("search")))


def dns_server_list(arguments):
    print(",".join(_words("nameserver")))


def etc_hosts(arguments):
    with open("/etc/hosts") as file:
        print(file.read(), end="")
