"""Who answers: every system of the field behind one protocol, see `base.py`."""
