"""Circuits of the pages for ngspice, the program that runs them, and what came out."""
