"""What tests of carelink, of plugins and of hospitals' own code share: fakes, a small world, conformance suites."""
