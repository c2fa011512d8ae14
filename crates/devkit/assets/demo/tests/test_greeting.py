"""What a greeting looks like."""

import unittest

from greeter import greet


class GreetingTest(unittest.TestCase):
    """One person at a time."""

    def test_a_person_is_greeted_by_name(self):
        self.assertEqual(greet("Ada"), "Hello, Ada!")

    def test_nobody_in_particular_is_the_world(self):
        self.assertEqual(greet(""), "Hello, world!")

    def test_spaces_around_a_name_are_not_part_of_it(self):
        self.assertEqual(greet("  Ada "), "Hello, Ada!")
        self.assertEqual(greet("   "), "Hello, world!")


if __name__ == "__main__":
    unittest.main()
