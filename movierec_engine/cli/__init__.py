"""The command line `movierec`, one file a group of commands."""
