"""Is every instruction of a multi-task row followed? Rules that decide, or say that they cannot."""
