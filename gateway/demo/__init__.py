"""
The customer demo at /demo: a flash sale on a phone. It shows one campaign and can do nothing but claim from it.
"""
