import pytest

from kubeshim.machinery.custom_validation import formats

GOOD = {
    "date-time": ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123+02:00"],
    "datetime": ["2026-01-02T03:04:05Z"],
    "date": ["2026-02-28"],
    "duration": ["1h30m", "-5s", "0", "3 days", "1.5h"],
    "ipv4": ["10.0.0.1"], "ipv6": ["::1", "2001:db8::1"], "cidr": ["10.0.0.0/8", "::/0"],
    "hostname": ["a.example.com", "localhost"], "email": ["a@example.com"], "uri": ["https://a/b?c", "/path"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"], "uuid4": ["123e4567-e89b-42d3-a456-426614174000"],
    "mac": ["00:1b:44:11:3a:b7"], "byte": ["aGk=", ""], "password": ["x"], "hexcolor": ["#fff", "00ff00"],
    "rgbcolor": ["rgb(1, 2, 255)"], "creditcard": ["4111 1111 1111 1111"], "ssn": ["111-22-3333"],
    "isbn": ["0-321-75104-3", "978-0321751041"], "bsonobjectid": ["507f1f77bcf86cd799439011"],
    "k8s-short-name": ["my-name"], "k8s-long-name": ["my.name"],
}  # fmt: skip
BAD = {
    "date-time": ["2026-01-02", "2026-01-02 03:04:05Z", "2026-13-02T03:04:05Z", "2026-01-02T25:04:05Z"],
    "date": ["2026-02-30", "26-1-1"], "duration": ["abc", "1", ""], "ipv4": ["::1", "1.2.3"], "ipv6": ["1.2.3.4"],
    "cidr": ["10.0.0.0", "10.0.0.0/33"], "hostname": ["-a", "a b", "a" * 64], "email": ["a", "a@"], "uri": ["x", ""],
    "uuid": ["123"], "uuid4": ["123e4567-e89b-12d3-a456-426614174000"], "mac": ["00:1b"], "byte": ["a", "a=b="],
    "hexcolor": ["#ff"], "rgbcolor": ["rgb(1,2,256)"], "creditcard": ["4111 1111 1111 1112"], "ssn": ["1"],
    "isbn": ["0-321-75104-4"], "bsonobjectid": ["x"], "k8s-short-name": ["My"], "k8s-long-name": ["a..b"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts])
def test_right(name, text):
    assert formats.find(name)(text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_wrong(name, text):
    assert not formats.find(name)(text)


def test_formats_of_numbers_and_of_nobody_are_unknown():
    assert [formats.find(name) for name in ("int32", "double", "made-up")] == [None, None, None]
