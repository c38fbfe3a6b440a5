"""What people ask of RabbitMQ as an ordinary user."""
