from storage.fingerprint import Fingerprint


def test_the_hash_does_not_depend_on_the_order_of_parts():
    one = Fingerprint(1, {"a": 1, "b": 2}, {"name": "x"})
    assert one.hash == Fingerprint(1, {"b": 2, "a": 1}, {"name": "x"}).hash
    assert one.hash != Fingerprint(1, {"a": 1, "b": 3}, {"name": "x"}).hash
    assert Fingerprint.from_json(one.to_json()).hash == one.hash


def test_differences_name_what_changed():
    old = Fingerprint(1, {"frames": 10, "size": {"side": 224}}, {"revision": "abc"})
    new = Fingerprint(2, {"frames": 12, "size": {"side": 256}, "seed": 0}, {"revision": "abc", "dtype": "float16"})
    assert old.differences(new) == [
        "code version: 1 -> 2",
        "parameter frames: 10 -> 12",
        "parameter seed: absent -> 0",
        "parameter size.side: 224 -> 256",
        "model dtype: absent -> float16",
    ]
    assert old.differences(old) == []
