# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Addresses of pods."""

from __future__ import annotations

import random

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.addresses import AddressError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.ipam import (
    AddressBook,
    AddressRefused,
    SubnetAllocator,
    SubnetFull,
)

A, B = ("default", "a"), ("default", "b")


def test_addresses_start_at_three_and_end_before_broadcast() -> None:
    allocator = SubnetAllocator("10.244.1.0/29")
    assert allocator.free == 4
    assert [allocator.allocate() for _ in range(4)] == ["10.244.1.3", "10.244.1.4", "10.244.1.5", "10.244.1.6"]
    assert (allocator.allocated, allocator.free) == (4, 0)
    with pytest.raises(SubnetFull, match=r"10\.244\.1\.0/29"):
        allocator.allocate()


def test_a_freed_address_rests_until_all_others_were_given() -> None:
    allocator = SubnetAllocator("10.244.1.0/29")
    first = allocator.allocate()
    allocator.release(first)
    assert [allocator.allocate() for _ in range(3)] == ["10.244.1.4", "10.244.1.5", "10.244.1.6"]
    assert allocator.allocate() == first


@pytest.mark.parametrize(
    "address", ["10.244.1.1", "10.244.1.2", "10.244.1.7", "10.244.2.3", "10.244.0.3", "fd00::3", "x"]
)
def test_what_is_no_pod_address_cannot_be_claimed_and_released(address: str) -> None:
    allocator = SubnetAllocator("10.244.1.0/29")
    assert not allocator.claim(address)
    allocator.release(address)
    assert allocator.allocated == 0


def test_a_claim_holds_once() -> None:
    allocator = SubnetAllocator("10.244.1.0/24")
    assert allocator.claim("10.244.1.9")
    assert not allocator.claim("10.244.1.9")
    assert allocator.allocate() == "10.244.1.10"
    allocator.release("10.244.1.9")
    allocator.release("10.244.1.9")
    assert allocator.allocated == 1


def test_a_very_large_subnet_uses_its_beginning() -> None:
    allocator = SubnetAllocator("10.0.0.0/8")
    assert allocator.free == (1 << 16) - 3
    assert not allocator.claim("10.200.0.1")


def test_a_lease_stays_with_its_pod() -> None:
    book = AddressBook()
    assert book.set_subnet("n", "10.244.1.0/24")
    assert not book.set_subnet("n", "10.244.1.0/24")
    lease = book.lease(A, "u1", "n")
    assert (lease.address, lease.interface, lease.gateway) == ("10.244.1.3", "10.244.1.3/24", "10.244.1.1")
    assert book.lease(A, "u1", "n") is lease
    with pytest.raises(KeyError):
        book.lease(B, "u2", "elsewhere")


def test_an_ended_lease_is_taken_until_it_is_settled() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/29")
    leases = [book.lease(("ns", str(number)), "u", "n") for number in range(4)]
    book.end(("ns", "1"))
    with pytest.raises(SubnetFull):
        book.lease(A, "u", "n")
    book.settle(("ns", "1"))
    assert book.lease(A, "u", "n").address == leases[1].address


def test_another_uid_is_another_pod() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    first, second = book.lease(A, "u1", "n"), book.lease(A, "u2", "n")
    assert first.address != second.address
    assert list(book.figures()) == [("n", 2, 250)]
    book.settle(A)
    assert list(book.figures()) == [("n", 1, 251)]
    assert book.held(A) == second


def test_a_preferred_address_is_given_when_free() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    assert book.lease(A, "u", "n", "10.244.1.77").address == "10.244.1.77"
    assert book.lease(B, "u", "n", "10.244.1.77").address == "10.244.1.78"
    assert book.lease(("c", "c"), "u", "n", "192.0.2.1").address == "10.244.1.79"


def test_adoption_refuses_what_is_taken_or_outside() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    book.reserve("n", "10.244.1.50")
    assert book.adopt(A, "u", "n", "10.244.1.9")
    assert book.adopt(A, "u", "n", "10.244.1.9")
    assert not book.adopt(A, "u", "n", "10.244.1.10")
    assert not book.adopt(B, "u", "n", "10.244.1.9")
    assert not book.adopt(B, "u", "n", "10.244.1.50")
    assert not book.adopt(B, "u", "n", "10.244.2.9")
    assert not book.adopt(B, "u", "m", "10.244.1.11")


def test_an_address_that_a_pod_and_somebody_else_have_is_free_when_both_are_gone() -> None:
    for pod_goes_first in (True, False):
        book = AddressBook()
        book.set_subnet("n", "10.244.1.0/29")
        book.lease(A, "u", "n", "10.244.1.3")
        book.reserve("n", "10.244.1.3")
        book.reserve("n", "192.0.2.1")
        steps = [lambda book=book: (book.end(A), book.settle(A)), lambda book=book: book.give_back("n", "10.244.1.3")]
        for step in steps if pod_goes_first else reversed(steps):
            assert [row[1] for row in book.figures()] == [1]
            step()
        assert [row[1] for row in book.figures()] == [0]
        book.give_back("n", "10.244.1.3")
        assert [row[1] for row in book.figures()] == [0]


def test_what_is_reserved_is_given_back_while_a_lease_that_ended_has_it() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/29")
    book.lease(A, "u", "n", "10.244.1.3")
    book.end(A)
    book.reserve("n", "10.244.1.3")
    book.give_back("n", "10.244.1.3")
    assert [row[1] for row in book.figures()] == [1]
    book.settle(A)
    assert [row[1] for row in book.figures()] == [0]


def test_another_subnet_drops_what_does_not_fit() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    book.lease(A, "u", "n")
    book.lease(B, "u", "n", "10.244.1.200")
    assert book.set_subnet("n", "10.244.1.128/25")
    assert book.held(A) is None
    lease = book.held(B)
    assert lease is not None
    assert (lease.interface, lease.gateway) == ("10.244.1.200/25", "10.244.1.129")
    book.drop_subnet("n")
    assert book.held(B) is None
    assert not book.knows("n")


def test_a_subnet_that_is_none_is_refused() -> None:
    with pytest.raises(AddressError):
        AddressBook().set_subnet("n", "10.244.1.7/24")


def test_no_address_twice_whatever_happens() -> None:
    chance = random.Random(3)
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/26")
    generation = dict.fromkeys(range(80), 0)
    for _ in range(5000):
        number = chance.randrange(80)
        key = ("ns", str(number))
        action = chance.random()
        if action < 0.5:
            if chance.random() < 0.2:
                generation[number] += 1
            try:
                book.lease(key, str(generation[number]), "n")
            except SubnetFull:
                continue
        elif action < 0.8:
            book.end(key)
        else:
            book.settle(key)
        held = [lease.address for key in book.pods() if (lease := book.held(key)) is not None]
        assert len(set(held)) == len(held)
        ((_, allocated, free),) = book.figures()
        assert allocated + free == 60
        assert allocated >= len(held)


def test_an_address_that_is_asked_for() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    assert book.lease_of(A, "u1", "n", "10.244.1.9").address == "10.244.1.9"
    for address, why in (
        ("10.244.1.9", "the address of pod default/a"),
        ("10.244.1.2", "its subnet is 10.244.1.0/24"),
        ("10.244.2.9", "its subnet is 10.244.1.0/24"),
        ("x", "its subnet is 10.244.1.0/24"),
    ):
        with pytest.raises(AddressRefused, match=why):
            book.lease_of(B, "u2", "n", address)
    book.end(A)
    with pytest.raises(AddressRefused, match="until a moment ago"):
        book.lease_of(B, "u2", "n", "10.244.1.9")
    book.settle(A)
    assert book.lease_of(B, "u2", "n", "10.244.1.9").uid == "u2"


@pytest.mark.parametrize("ended", [False, True])
def test_the_next_pod_of_a_name_inherits_what_it_asks_for(ended: bool) -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    book.lease_of(A, "u1", "n", "10.244.1.9")
    if ended:
        book.end(A)
    assert book.lease_of(A, "u2", "n", "10.244.1.9").uid == "u2"
    book.settle(A)
    with pytest.raises(AddressRefused):
        book.lease_of(B, "u3", "n", "10.244.1.9")
    assert [row[1] for row in book.figures()] == [1]


def test_clear_forgets_everything() -> None:
    book = AddressBook()
    book.set_subnet("n", "10.244.1.0/24")
    book.reserve("n", "10.244.1.4")
    book.lease(A, "u1", "n")
    book.clear()
    assert (book.nodes(), book.pods()) == ((), ())
    book.set_subnet("n", "10.244.1.0/24")
    assert [row[1] for row in book.figures()] == [0]
