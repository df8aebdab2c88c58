"""The vector form: on images whose parts are known."""
