"""The Grade dock: sessions in which several people grade a set of images."""
