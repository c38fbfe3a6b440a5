from django.db import models


class Order(models.Model):
    class State(models.TextChoices):
        PLACED = "placed"
        SHIPPED = "shipped"
        CANCELLED = "cancelled"

    title = models.CharField(max_length=200)
    state = models.CharField(max_length=20, choices=State, default=State.PLACED)
    shipped_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"
