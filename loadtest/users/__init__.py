"""The people of a sale, as classes of Locust users."""
