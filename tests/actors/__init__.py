"""Tests of `actors/`. Names follow Elixir's and OTP's suites where the behaviour is theirs."""
