"""A band that plays along, one bar ahead."""
