//! The stages that a configuration asks of a model.

use crate::fit::features::ahead::Ahead;
use crate::fit::train::gradual::blocks;
use crate::fit::{GradualConfig, ReusedStatistics, Solving, Stage, StageConfig, TrainConfig};
use frostline_graph::{Freeze, Model, Result, Unfreeze};

/// How likely another block is unfrozen after one was.
const GOES_ON: f64 = 0.5;

/// What stages are made of.
pub(in crate::fit) struct Stages<'a> {
    pub(in crate::fit) model: &'a Model,
    /// The paths of the reused layers, from the lowest to the highest.
    pub(in crate::fit) reused: &'a [String],
    pub(in crate::fit) config: &'a TrainConfig,
    pub(in crate::fit) solving: Option<&'a Solving>,
}

impl Stages<'_> {
    /// Those of the recipe that train.
    pub(in crate::fit) fn of_recipe(&self) -> Result<Vec<Stage>> {
        let recipes = self.config.stage.iter().filter(|stage| stage.epochs > 0);
        recipes
            .enumerate()
            .map(|(index, recipe)| self.stage(recipe, index > 0 || self.config.solve.is_some()))
            .collect()
    }

    /// All stages that may come, and how likely each is: unfreezing block by block goes on about every second time.
    pub(in crate::fit) fn ahead(&self) -> Result<Vec<Ahead>> {
        let stage_ahead = |stage: Stage, chance: f64| Ahead {
            name: stage.config.name,
            freeze: stage.freeze,
            epochs: stage.config.epochs,
            chance,
        };
        let mut all: Vec<Ahead> =
            self.of_recipe()?.into_iter().map(|stage| stage_ahead(stage, 1.0)).collect();
        if let Some(gradual) = &self.config.gradual {
            let mut chance = 1.0;
            for block in self.blocks() {
                all.push(stage_ahead(self.block(gradual, block)?, chance));
                chance *= GOES_ON;
            }
        }
        Ok(all)
    }

    /// The lowest layer of each block of the reused layers, from the highest block down. The branches of a solved head end no
    /// block.
    pub(in crate::fit) fn blocks(&self) -> Vec<String> {
        match self.solving {
            Some(solving) => blocks(solving.backbone(), self.reused),
            None => blocks(self.model, self.reused),
        }
    }

    /// The stage that unfreezes a block.
    pub(in crate::fit) fn block(&self, gradual: &GradualConfig, block: String) -> Result<Stage> {
        let unfreeze = Unfreeze::From(block.clone());
        Ok(Stage {
            config: StageConfig {
                name: format!("from {block}"),
                unfreeze: unfreeze.clone(),
                epochs: gradual.epochs,
                learning_rate: gradual.learning_rate,
                backbone_lr_factor: gradual.backbone_lr_factor,
                warm_up: true,
                ..StageConfig::default()
            },
            freeze: self.with_statistics(Freeze::reused(self.reused, &unfreeze)?, false),
            reverts: true,
            averaged_epochs: 0,
        })
    }

    /// The statistics of reused layers are frozen too, where the recipe says so.
    pub(in crate::fit) fn with_statistics(&self, freeze: Freeze, names_frozen_layers: bool) -> Freeze {
        match self.config.reused_statistics(names_frozen_layers) {
            ReusedStatistics::Frozen => freeze.with_statistics(&self.model.graph, self.reused),
            ReusedStatistics::Train => freeze,
        }
    }

    fn stage(&self, config: &StageConfig, reverts: bool) -> Result<Stage> {
        let freeze = match &config.freeze {
            Some(paths) => Freeze::exactly(&self.model.graph, paths)?,
            None => Freeze::reused(self.reused, &config.unfreeze)?,
        };
        let freeze = self.with_statistics(freeze, config.freeze.is_some());
        Ok(Stage { config: config.clone(), freeze, reverts, averaged_epochs: 0 })
    }
}
