from __future__ import annotations

import pytest

from refinery_core.vibe.addresses import resolve_address

BASE = "http://a/b/c/d;p?q"

# The examples of RFC 3986, section 5.4.
EXAMPLES = {
    "g:h": "g:h", "g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/", "/g": "http://a/g",
    "//g": "http://g", "?y": "http://a/b/c/d;p?y", "g?y": "http://a/b/c/g?y", "": "http://a/b/c/d;p?q",
    ";x": "http://a/b/c/;x", "g;x": "http://a/b/c/g;x", ".": "http://a/b/c/", "./": "http://a/b/c/", "..": "http://a/b/",
    "../": "http://a/b/", "../g": "http://a/b/g", "../..": "http://a/", "../../": "http://a/", "../../g": "http://a/g",
    "../../../g": "http://a/g", "/./g": "http://a/g", "/../g": "http://a/g", "g.": "http://a/b/c/g.",
    "..g": "http://a/b/c/..g", "./../g": "http://a/b/g", "./g/.": "http://a/b/c/g/", "g/./h": "http://a/b/c/g/h",
    "g/../h": "http://a/b/c/h", "g?y/./x": "http://a/b/c/g?y/./x",
}  # fmt: skip


@pytest.mark.parametrize(("address", "absolute"), EXAMPLES.items())
def test_the_examples_of_the_rfc_resolve_as_it_says(address: str, absolute: str) -> None:
    assert resolve_address(BASE, address) == (absolute, "")
    assert resolve_address(BASE, f"{address}#s/../x") == (absolute, "s/../x")


def test_a_base_without_a_scheme_is_taken_as_it_is() -> None:
    assert resolve_address("", "n.json#/x") == ("n.json", "/x")
    assert resolve_address("dir/root.json", "n.json") == ("dir/n.json", "")
    assert resolve_address("dir/root.json", "../n.json") == ("n.json", "")
    assert resolve_address("http://a", "n") == ("http://a/n", "")
    assert resolve_address("urn:uuid:1", "#x") == ("urn:uuid:1", "x")
