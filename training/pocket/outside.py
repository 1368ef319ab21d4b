"""A hundred everyday prompts, written without looking at the table of nouns: most name what the model never saw.

They were written down before the training whose result they measure had ended, and are not changed after it.
"""

from __future__ import annotations

OUTSIDE = """
an astronaut riding a horse
the letter A
a lighthouse on a rocky coast
a steaming bowl of ramen
a wizard casting a spell
portrait of an old fisherman
a cozy cabin in the woods
a dragon breathing fire over a village
my cat wearing sunglasses
a vintage car parked by the sea
a hot air balloon over the valley
two kids playing football
a slice of chocolate cake with a cherry
a wolf howling at the moon
a knight in shining armor
a surfer on a huge wave
a hummingbird near a red flower
a city street in the rain
an old book on a wooden desk
a bouquet of white roses
a snowy mountain village
a sailing boat at sunset
a dinosaur in the jungle
a plate of spaghetti
a golden retriever puppy
a spaceship landing on mars
a waterfall in a green forest
a cup of hot tea
a girl with a pearl earring
a robot playing the guitar
a haunted house on a hill
a bowl of fresh fruit
a train crossing a bridge
an owl sitting on a branch
a ballerina on stage
a giant octopus attacking a ship
a windmill in a tulip field
a pirate with a parrot
a jar of honey
a polar bear on the ice
a motorcycle on an empty road
a mermaid under the sea
a camping tent under the stars
a stack of pancakes
a peacock with open feathers
a Ferris wheel at night
a farmer with a tractor
a pair of running shoes
a samurai in the snow
a fox in an autumn forest
a teapot and two cups
a violin on a chair
a kangaroo boxing
a pink flamingo in the water
a black cat on a roof
a street musician
a rainbow over the hills
a castle in the clouds
a bee on a daisy
a basket of strawberries
a diver with a shark
a gingerbread house
a superhero flying over the city
a hedgehog with an apple
an elephant in the savanna
a lemonade stand
a fireplace in winter
the number seven
a hamster eating a seed
a happy birthday card
a treasure chest full of gold
a mountain bike on a trail
a cactus in a pot
a vampire in a castle
a glass of red wine and cheese
a red double-decker bus in London
the Eiffel Tower
a panda eating bamboo
a rocket launch
a Christmas tree with presents
a stained glass window
a swan on a lake
a camel caravan in the desert
a fried egg
a coral reef with colourful fish
a king on his throne
a typewriter
a snowman with a carrot nose
a bright full moon over the ocean
a squirrel with a nut
a smartphone on a table
a field of sunflowers
a jellyfish
a little mouse with cheese
a traffic light
a crocodile in a river
a pumpkin with a scary face
an island with a palm tree
a broken umbrella in the storm
a sleeping baby
""".strip().splitlines()
