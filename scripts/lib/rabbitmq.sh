# stub
rabbitmq_up() { return 1; }
rabbitmq_down() { return 1; }
rabbitmq_wipe() { return 1; }
rabbitmq_status() { return 1; }
rabbitmq_env() { return 1; }
