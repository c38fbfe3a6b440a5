"""RabbitMQ: where it is installed, what its nodes share, how one talks to it."""
