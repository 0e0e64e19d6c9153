"""The online half: ranking service, model server, exposure log, guard and mirror of releases; it imports no TFX, Beam or trainer."""
