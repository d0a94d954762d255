"""Email over SMTP: settings, the message's bytes, one connection, the judgement of replies, and the channel."""
