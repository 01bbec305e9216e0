# The gallery: every run and every picture of docs/gallery.md, each with what it is made from. The Makefile includes it.
# Runs (CSV) and SVG go to runs/gallery, PNG to docs/images/gallery. `make gallery-NAME` makes one picture.

GALLERY := runs/gallery
PICTURES := docs/images/gallery
DLRUN := $(BIN)/dlrun
HERE := experiments/gallery
MK := $(HERE)/gallery.mk
, := ,
gallery_names :=

.PHONY: gallery

# $(call run,COMMAND,RUN,FILE,OPTIONS): `dlrun COMMAND FILE OPTIONS` into runs/gallery/RUN; the summary comes last.
define run
$(GALLERY)/$2/summary.json: $3 $(MK) | $(INSTALLED)
	$(DLRUN) $1 $$< --out $$(@D) --overwrite --quiet $4
endef
train = $(eval $(call run,train,$1,$(HERE)/$2.toml,$3))
tune = $(eval $(call run,tune,$1,$(HERE)/$2.toml,$3))

# $(call diagnosed,RUN): what `dlrun diagnose` says of a run.
define diagnosed_rule
$(GALLERY)/$1_diagnosed/summary.json: $(GALLERY)/$1/summary.json
	$(DLRUN) diagnose $$(<D) --out $$(@D) --overwrite --quiet
endef
diagnosed = $(eval $(call diagnosed_rule,$1))

# $(call layers_of,RUN,NAME,OPTIONS): a network of experiments/NAME.toml, and what `dlrun diagnose` says of its layers.
layers_of = $(eval $(call run,train,$1,experiments/$2.toml,$3))$(call diagnosed,$1)

# $(call minimize,FOLDER,NAME,EXPRESSION,OPTIONS): the path of an optimizer.
define minimize_rule
$(GALLERY)/$1/$2.csv: $(MK) | $(INSTALLED)
	@mkdir -p $$(@D)
	$(DLRUN) minimize "$3" --out $$@ --quiet $4
endef
minimize = $(eval $(call minimize_rule,$1,$2,$3,$4))

# $(call draw,PICTURE,OPTIONS,RUNS) from runs, $(call draw_files,PICTURE,OPTIONS,FILES) from CSV files.
define picture
$(PICTURES)/$1.png: $3 $(MK) | $(INSTALLED)
	@mkdir -p $(PICTURES) $(GALLERY)
	$(DLRUN) plot $4 --out $$@ --quiet $2
	@$(DLRUN) plot $4 --out $(GALLERY)/$1.svg --quiet $2
.PHONY: gallery-$1
gallery-$1: $(PICTURES)/$1.png
gallery: gallery-$1
gallery_names += $1
endef
draw = $(eval $(call picture,$1,$2,$(3:%=$(GALLERY)/%/summary.json),$(3:%=$(GALLERY)/%)))
draw_files = $(eval $(call picture,$1,$2,$(3:%=$(GALLERY)/%),$(3:%=$(GALLERY)/%)))

# -- batch, mini-batch, stochastic ------------------------------------------------------------------

$(call train,batch,batch_sizes,--steps --set training.epochs=320)
$(call train,mini_batch,batch_sizes,--steps --set training.batch_size=32 --set training.epochs=32)
$(call train,stochastic,batch_sizes,--steps --set training.batch_size=1 --set training.epochs=1)
BATCH_LABELS := --label "batch (320 rows)" --label "mini-batch (32)" --label "stochastic (1)"
$(call draw,descent,--kind descent --title "The way to the least cost$(,) 320 steps" $(BATCH_LABELS),batch mini_batch stochastic)
$(call draw,batch_cost,--kind steps --log --title "The cost of each batch$(,) 320 steps" $(BATCH_LABELS),batch mini_batch stochastic)

# -- surfaces ---------------------------------------------------------------------------------------

RAVINE := x**2/200 + y**2
SADDLE := x**2 - y**2 + y**4/4
PLATEAU := 1 - exp(-(x**2 + y**2)/2)
PATHS := gradient_descent momentum rmsprop adam
PATH_LABELS := --label "gradient descent" --label momentum --label RMSProp --label Adam

from_ravine := --steps 100 --start x=-8 --start y=2
$(call minimize,ravine,gradient_descent,$(RAVINE),$(from_ravine) --learning-rate 0.9)
$(call minimize,ravine,momentum,$(RAVINE),$(from_ravine) --learning-rate 5 --optimizer momentum)
$(call minimize,ravine,rmsprop,$(RAVINE),$(from_ravine) --learning-rate 0.1 --optimizer rmsprop --set optimizer.beta2=0.9)
$(call minimize,ravine,adam,$(RAVINE),$(from_ravine) --learning-rate 0.3 --optimizer adam)
$(call draw_files,ravine,--log --expression "$(RAVINE)" $(PATH_LABELS),$(PATHS:%=ravine/%.csv))

from_saddle := --steps 100 --start x=2 --start y=0.001 --learning-rate 0.05
$(call minimize,saddle,gradient_descent,$(SADDLE),$(from_saddle))
$(call minimize,saddle,momentum,$(SADDLE),$(from_saddle) --optimizer momentum)
$(call minimize,saddle,rmsprop,$(SADDLE),$(from_saddle) --optimizer rmsprop --set optimizer.beta2=0.9)
$(call minimize,saddle,adam,$(SADDLE),$(from_saddle) --optimizer adam)
$(call draw_files,saddle,--expression "$(SADDLE)" $(PATH_LABELS),$(PATHS:%=saddle/%.csv))

from_plateau := --steps 150 --start x=-3 --start y=1.5 --learning-rate 0.05
$(call minimize,plateau,gradient_descent,$(PLATEAU),$(from_plateau))
$(call minimize,plateau,momentum,$(PLATEAU),$(from_plateau) --optimizer momentum)
$(call minimize,plateau,rmsprop,$(PLATEAU),$(from_plateau) --optimizer rmsprop --set optimizer.beta2=0.9)
$(call minimize,plateau,adam,$(PLATEAU),$(from_plateau) --optimizer adam)
$(call draw_files,plateau,--expression "$(PLATEAU)" $(PATH_LABELS),$(PATHS:%=plateau/%.csv))

PARABOLA := w**2 - 10*w + 25
$(call minimize,overshooting,small,$(PARABOLA),--steps 12 --learning-rate 0.05)
$(call minimize,overshooting,large,$(PARABOLA),--steps 12 --learning-rate 0.9)
$(call minimize,overshooting,too_large,$(PARABOLA),--steps 12 --learning-rate 1.02)
$(call draw_files,overshooting,--expression "$(PARABOLA)" --label "α = 0.05" --label "α = 0.9" --label "α = 1.02",overshooting/small.csv overshooting/large.csv overshooting/too_large.csv)

# -- decay ------------------------------------------------------------------------------------------

$(call train,constant,decay,--steps)
$(call train,inverse_time,decay,--steps --set optimizer.decay.name=inverse_time)
$(call train,exponential,decay,--set optimizer.decay.name=exponential --set optimizer.decay.base=0.8)
$(call train,inverse_sqrt,decay,--set optimizer.decay.name=inverse_sqrt)
$(call train,staircase,decay,--set optimizer.decay.name=staircase --set optimizer.decay.every=5)
$(call draw,decay_rates,--kind learning_rate --title "Learning-rate decay" --label constant --label inverse_time --label exponential --label inverse_sqrt --label staircase,constant inverse_time exponential inverse_sqrt staircase)
$(call draw,decay,--kind descent --title "Mini-batches of 8$(,) with and without decay" --label "constant rate" --label "α0/(1 + n)",constant inverse_time)

# -- initialization, vanishing and exploding --------------------------------------------------------

$(GALLERY)/initializations/summary.json: $(HERE)/initializations.toml | $(INSTALLED)
	$(DLRUN) diagnose --initialization $< --out $(@D) --overwrite --quiet
$(call draw,initializations,--kind layers --title "Initializations of six layers of tanh",initializations)
$(call layers_of,w_15,deep_linear,--set model.scale=1.5)
$(call layers_of,w_05,deep_linear,--set model.scale=0.5)
$(call layers_of,w_10,deep_linear,--set model.scale=1.0)
$(call draw,vanishing_and_exploding,--kind layers --title "Ten linear layers" --label "W = 1.5·I" --label "W = 0.5·I" --label "W = I",w_15_diagnosed w_05_diagnosed w_10_diagnosed)
$(call layers_of,sigmoid_layers,vanishing,--set training.epochs=0)
$(call layers_of,tanh_layers,vanishing,--set training.epochs=0 --set model.activation=tanh --set model.initialization=xavier)
$(call draw,vanishing,--kind layers --title "Six hidden layers on the digits$(,) before training" --label "sigmoid$(,) normal 0.1" --label "tanh$(,) Xavier",sigmoid_layers_diagnosed tanh_layers_diagnosed)
$(call train,from_xavier,initializations,)
$(call train,from_zeros,initializations,--set model.initialization=zeros)
$(call train,from_small,initializations,--set model.initialization=normal --set model.scale=0.01)
$(call train,from_large,initializations,--set model.initialization=normal --set model.scale=1.0)
$(call draw,initialization_costs,--kind cost --title "Training from four initializations" --label xavier --label zeros --label "normal$(,) 0.01" --label "normal$(,) 1",from_xavier from_zeros from_small from_large)

# -- regularization ---------------------------------------------------------------------------------

$(call train,l2_0,l2_tanh,)
$(call train,l2_1,l2_tanh,--set regularization.l2=1)
$(call train,l2_10,l2_tanh,--set regularization.l2=10)
$(foreach each,l2_0 l2_1 l2_10,$(call diagnosed,$(each)))
L2_LABELS := --label "λ = 0" --label "λ = 1" --label "λ = 10"
$(call draw,l2_tanh,--kind regions --title "L2 on two layers of tanh" $(L2_LABELS),l2_0 l2_1 l2_10)
$(call draw,l2_layers,--kind layers --title "L2 on two layers of tanh" $(L2_LABELS),l2_0_diagnosed l2_1_diagnosed l2_10_diagnosed)
$(call train,with_dropout,dropout,)
$(call train,without_dropout,dropout,--set model.keep_prob=1)
DROPOUT_LABELS := --label "all units" --label "keep_prob = 0.5"
$(call draw,dropout,--kind error --title "Dropout" $(DROPOUT_LABELS),without_dropout with_dropout)
$(call draw,dropout_regions,--kind regions --title "Dropout" $(DROPOUT_LABELS),without_dropout with_dropout)
$(call train,no_augmentation,augmentation,--set data.augment=)
$(call train,noise,augmentation,)
$(call train,mirror,augmentation,--set data.augment={mirror=8})
$(call draw,augmentation,--kind error --title "Augmentation of 180 digits" --label "as they are" --label noise --label mirror,no_augmentation noise mirror)

# -- batch normalization ----------------------------------------------------------------------------

$(call train,with_batch_norm,batch_norm,)
$(call train,without_batch_norm,batch_norm,--set model.batch_norm=false)
$(call draw,batch_norm,--kind cost --title "Six layers of tanh$(,) α = 0.3" --label "with batch normalization" --label without,with_batch_norm without_batch_norm)
$(call train,shifted_with,shifted_inputs,)
$(call train,scaled_with,shifted_inputs,--set data.normalize=minmax)
$(call train,shifted_without,shifted_inputs,--set model.batch_norm=false)
$(call train,scaled_without,shifted_inputs,--set model.batch_norm=false --set data.normalize=minmax)
$(call draw,shifted_inputs,--kind cost --log --title "Batch normalization$(,) pixels from 0 to 16 and from 0 to 1" --label "with$(,) 0 to 16" --label "with$(,) 0 to 1" --label "without$(,) 0 to 16" --label "without$(,) 0 to 1",shifted_with scaled_with shifted_without scaled_without)

# -- models -----------------------------------------------------------------------------------------

$(call train,softmax_blobs,softmax,--set model.hidden=[] --set data.source=blobs)
$(call train,softmax_straight,softmax,--set model.hidden=[])
$(call train,softmax_curved,softmax,)
$(call draw,softmax,--kind regions --title "Softmax" --label "blobs$(,) no hidden layer" --label "bent arms$(,) no hidden layer" --label "bent arms$(,) hidden layers",softmax_blobs softmax_straight softmax_curved)
$(eval $(call run,train,xor,experiments/xor.toml,))
$(eval $(call run,train,xor_hidden,experiments/xor_hidden.toml,))
$(call draw,xor,--kind regions --title "Exclusive or" --label "one sigmoid" --label "a hidden layer of 4",xor xor_hidden)
$(call train,phi_none,phi,)
$(call train,phi_polynomial,phi,--set model.feature_map.name=polynomial)
$(call train,phi_rbf,phi,--set model.feature_map.name=rbf --set model.feature_map.count=30 --set model.feature_map.gamma=0.5)
$(call train,phi_learned,phi,--set model.hidden=[8] --set model.activation=tanh)
$(call draw,phi,--kind regions --title "A linear model of φ(x)" --label "φ(x) = x" --label "products up to degree 2" --label "30 RBF features" --label "φ learned: 8 units of tanh",phi_none phi_polynomial phi_rbf phi_learned)
$(call train,bias,bias_variance,--set model.hidden=[])
$(call train,neither,bias_variance,--set regularization.l2=0.1)
$(call train,variance,bias_variance,--set model.hidden=[128$(,)128] --set model.activation=relu --set model.initialization=he)
$(call draw,bias_variance,--kind regions --title "Bias and variance" --label "high bias" --label "neither" --label "high variance",bias neither variance)
$(call draw,bias_variance_errors,--kind error --title "Bias and variance" --label "high bias" --label "neither" --label "high variance",bias neither variance)

# -- checking ---------------------------------------------------------------------------------------

$(eval $(call run,gradcheck,gradient_check,$(HERE)/gradient_check.toml,--epsilon-sweep))
$(call draw,gradient_check,--kind epsilon,gradient_check)

# -- tuning -----------------------------------------------------------------------------------------

$(call tune,log_scale,scales,--trials 25)
$(call tune,linear_scale,scales,--trials 25 --set 'tune.space.optimizer.learning_rate={uniform=[1e-4$(,) 1.0]}')
$(call draw,log_scale,--kind slices --title "α uniform in its logarithm",log_scale)
$(call draw,linear_scale,--kind slices --title "α uniform",linear_scale)
$(call tune,random,random_and_grid,--trials 25)
$(call tune,grid,random_and_grid,--trials 25 --sampler grid)
$(call tune,coarse_to_fine,random_and_grid,--trials 27 --sampler coarse-to-fine)
$(call draw,random,--kind slices --title "Random search$(,) 25 trials",random)
$(call draw,grid,--kind slices --title "A grid$(,) 25 trials",grid)
$(call draw,coarse_to_fine,--kind rounds,coarse_to_fine)

# -- estimating the error ---------------------------------------------------------------------------

RANDOM_LABELS := experiments/random_labels.toml
$(eval $(call run,holdout,holdout,$(RANDOM_LABELS),--repeats 30 --test-size 0.333))
$(eval $(call run,crossval,ten_fold,$(RANDOM_LABELS),--folds 10 --repeats 10))
$(eval $(call run,crossval,leave_one_out,$(RANDOM_LABELS),--leave-one-out --set model.kind=majority))
$(eval $(call run,bootstrap,bootstrap,$(RANDOM_LABELS),--samples 200))
$(call draw,folds,--kind folds --title "Random labels" --label "a third held out 30 times" --label "10-fold$(,) 10 times" --label "leave-one-out$(,) majority",holdout ten_fold leave_one_out)
$(call draw,bootstrap,--kind bootstrap,bootstrap)

# -- averages and clusters --------------------------------------------------------------------------

TEMPERATURES := experiments/data/temperatures.csv
$(GALLERY)/temperatures/corrected.csv: $(TEMPERATURES) | $(INSTALLED)
	@mkdir -p $(@D)
	$(DLRUN) smooth $< --column temperature_c --beta 0.5 --beta 0.9 --beta 0.98 --out $@ --overwrite --quiet
$(GALLERY)/temperatures/uncorrected.csv: $(TEMPERATURES) | $(INSTALLED)
	@mkdir -p $(@D)
	$(DLRUN) smooth $< --column temperature_c --beta 0.98 --no-bias-correction --out $@ --overwrite --quiet
$(call draw_files,temperatures,--kind smooth,temperatures/corrected.csv)
$(call draw_files,no_bias_correction,--kind smooth,temperatures/uncorrected.csv)
$(eval $(call run,kmeans,k_means,$(HERE)/k_means.toml,--clusters 1-8))
$(call draw,kmeans,--kind clusters,k_means)
$(call draw,elbow,--kind elbow,k_means)

# -- the graph of six nodes -------------------------------------------------------------------------

.PHONY: gallery-name_scopes
gallery: gallery-name_scopes
gallery-name_scopes: $(GALLERY)/name_scopes/graph.txt
$(GALLERY)/name_scopes/graph.txt: $(HERE)/name_scopes.py | $(INSTALLED_DEV)
	@mkdir -p $(@D)
	$(BIN)/python $< $(@D) > $@
