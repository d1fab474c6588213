"""Rows that nobody demonstrated: new questions with own solutions, own answers to rehearse."""
