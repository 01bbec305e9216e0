"""The computation graph: build an expression, take its derivatives, run it.

from dlrun import graph as g

w = g.variable(0.0, name="w")
cost = w**2 - 10 * w + 25
step = g.minimize(cost, optimizer="gradient_descent", learning_rate=0.01)
with g.Session() as session:
    for _ in range(1000):
        session.run(step)
    print(session.run(w))  # 4.99999
"""
