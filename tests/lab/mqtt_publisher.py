import paho.mqtt.publish as publish
MQTT_SERVER = "???"
MQTT_PATH = "???"
publish.single(MQTT_PATH, "Hello World!", hostname=MQTT_SERVER)
