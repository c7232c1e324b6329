"""Publishers and consumers for RabbitMQ and Kafka, behind one interface."""
