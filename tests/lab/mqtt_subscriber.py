import paho.mqtt.client as mqtt
MQTT_SERVER = "???" # MQTT server address
MQTT_PATH = "???" # Topic name

def on_connect(client, userdata, flags, rc):
    print("Connection code : "+str(rc))
    # Subscribe to the topic
    client.subscribe(MQTT_PATH)
# A publish message is received from the server
def on_message(client, userdata, msg):
    print("Sujet : "+msg.topic+" Message : "+str(msg.payload))

client = mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message
client.connect(MQTT_SERVER, 1883, 60)

client.loop_forever()
