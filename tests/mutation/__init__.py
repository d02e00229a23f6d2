"""Small changes for the worse, one at a time: tests of gates, codes and limits have to notice nine in ten."""
