"""Ways to an account for somebody who cannot sign in: invited, without the password, without the device."""
