"""Handwritten digits with two hidden layers of 100 neurons each.

python exercise/twoHiddenLayers.py
"""

import torch
from torch import nn

from digitlab import data

BATCH_SIZE = 100
LEARNING_RATE = 0.01
EPOCHS = 15

torch.manual_seed(0)

# The data: pixels 0 ... 255 become inputs 0 ... 1, and every image becomes a row of 784 numbers.
mnist = data.load("mnist")
train_images = torch.tensor(mnist.train.images).reshape(-1, 784) / 255  # [60000, 784]
train_labels = torch.tensor(mnist.train.labels).long()  # [60000]
test_images = torch.tensor(mnist.test.images).reshape(-1, 784) / 255  # [10000, 784]
test_labels = torch.tensor(mnist.test.labels).long()  # [10000]

# The model: two layers of 100 hidden neurons, then one score for each digit. Without the ReLUs between
# them the linear layers would be one. CrossEntropyLoss turns scores into probabilities by itself.
model = nn.Sequential(
    nn.Linear(784, 100),
    nn.ReLU(),
    nn.Linear(100, 100),
    nn.ReLU(),
    nn.Linear(100, 10),
)
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

for epoch in range(EPOCHS):
    running_loss = 0.0
    batches = torch.randperm(len(train_images)).split(BATCH_SIZE)  # a new random order each epoch
    for batch in batches:
        optimizer.zero_grad()  # gradients would add up otherwise
        loss = loss_function(model(train_images[batch]), train_labels[batch])
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"Epoch {epoch} - Training loss: {running_loss / len(batches)}")

with torch.no_grad():  # only looking: no gradients are needed
    predictions = model(test_images).argmax(dim=1)  # the digit with the highest score
correct = (predictions == test_labels).sum().item()

print(f"Number Of Images Tested = {len(test_images)}")
print(f"\nModel Accuracy = {correct / len(test_images)}")
