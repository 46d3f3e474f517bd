import paho.mqtt.client as mqtt
MQTT_PATH = "t_channel/test"
MQTT_SERVER = "localhost"

client = mqtt.Client()
client.will_set(MQTT_PATH, "Does it works ?", qos=0)
client.connect(MQTT_SERVER, 1883, 60)
client.loop_start()
client.publish(MQTT_PATH, "Hello World")
client.disconnect()
client.loop_stop()
