"""The two methods of the core; they register themselves as an outside package would."""
