"""Tests of what each baseline's paper claims about its class maps and networks, made with true labels."""
